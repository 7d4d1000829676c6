"""The fast engine: Envoy, with this service's Python running inside it.

The process that was started supervises (:mod:`.process`); Envoy is its child, configured by :mod:`.configuration`, and
calls :mod:`.application` for every request. gRPC's framing, which Envoy leaves alone, is in :mod:`.frames` and
:mod:`.headers`.
"""
