"""The shared domain: events, offers, candidate lists, the artifact format, the registry.

Pure: no network, no environment, no protobuf, no Redis.
"""
