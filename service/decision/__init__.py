"""Which offers to show: eligible, ranked, explained. Pure: no I/O, no protobuf, no clock of its own.

Everything here works on one immutable :class:`~service.decision.snapshot.Snapshot` and on the time that the caller
passes in, so that the same question always has the same answer.
"""
