"""Push messages ↔ domain, each field checked on its way in."""

from collections.abc import Sequence

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from dangol.v1 import customer_service_pb2, offer_service_pb2
from dangol.v1 import push_service_pb2 as messages
from models.errors import InvalidInputError
from models.pushes import PushMark, PushState
from service.handlers.pages import DEFAULT_PAGE_SIZE, MAXIMAL_PAGE_SIZE
from service.handlers.push_judge import Send
from service.handlers.trigger_messages import KIND_MESSAGES
from service.handlers.validation import check, check_distinct, count_problem, id_problem, range_problem, size_of_page
from service.store.push_store import Leased

_DEFAULT_VISIBILITY = 60.0
_MAXIMAL_VISIBILITY = 3_600.0
_MAXIMAL_ID_BYTES = 64
_MICROSECOND = 1_000_000

_STATES = {
    PushState.WAITING: customer_service_pb2.PUSH_STATE_WAITING,
    PushState.SENT: customer_service_pb2.PUSH_STATE_SENT,
    PushState.DROPPED: customer_service_pb2.PUSH_STATE_DROPPED,
}


def lease_from(request: messages.LeasePushesRequest) -> tuple[int, float]:
    """Read how many pushes are asked for, and for how many seconds. InvalidInputError names the field."""
    size = size_of_page(request.page_size, DEFAULT_PAGE_SIZE, MAXIMAL_PAGE_SIZE)
    return size, _visibility(request.visibility) if request.HasField("visibility") else _DEFAULT_VISIBILITY


def _visibility(duration: Duration) -> float:
    seconds = duration.seconds + duration.nanos / 1e9
    check("visibility", range_problem(seconds, 1.0, _MAXIMAL_VISIBILITY))
    return seconds


def acknowledgements_from(request: messages.AcknowledgePushesRequest) -> Sequence[messages.PushAcknowledgement]:
    """Check a batch of acknowledgements. InvalidInputError names the field."""
    given = request.acknowledgements
    check("acknowledgements", count_problem(len(given), 1, MAXIMAL_PAGE_SIZE))
    for index, one in enumerate(given):
        field = f"acknowledgements[{index}]"
        check(f"{field}.push_id", id_problem(one.push_id, _MAXIMAL_ID_BYTES))
        if one.outcome not in messages.PushOutcome.values() or not one.outcome:
            problem = "is not an outcome that this server knows" if one.outcome else "is required"
            raise InvalidInputError(f"{field}.outcome", problem)
        least = 0 if one.outcome == messages.PUSH_OUTCOME_SENT else 1
        check(f"{field}.lease", range_problem(one.lease, least, 2**31 - 1))
    check_distinct("acknowledgements", [one.push_id for one in given], ".push_id")
    return given


def leased_message(
    leased: Leased, verdict: Send, offer: offer_service_pb2.RankedOffer, identity_ids: Sequence[str]
) -> messages.LeasedPush:
    """Write a push that is to be sent."""
    push = leased.push
    return messages.LeasedPush(
        push_id=push.push_id,
        lease=leased.lease,
        customer_id=push.customer_id,
        trigger=push.trigger,
        kind=KIND_MESSAGES[verdict.trigger.kind],
        channel=verdict.trigger.channel,
        offer=offer,
        motive_item_id=push.item_id,
        motive_time=_timestamp(push.motive_time),
        lease_end_time=_timestamp(verdict.end_time),
        identity_ids=identity_ids,
    )


def waiting_message(waiting: Leased) -> messages.WaitingPush:
    """Write a push that waits or is leased."""
    push = waiting.push
    return messages.WaitingPush(
        push_id=push.push_id,
        customer_id=push.customer_id,
        trigger=push.trigger,
        motive_item_id=push.item_id,
        offer_id=push.offer_id,
        due_time=_timestamp(waiting.due_time),
        lease_count=waiting.lease,
    )


def mark_message(mark: PushMark) -> customer_service_pb2.CustomerPush:
    """Write what is remembered of a push."""
    return customer_service_pb2.CustomerPush(
        push_id=mark.push_id,
        trigger=mark.trigger,
        motive_item_id=mark.item_id,
        offer_id=mark.offer_id,
        state=_STATES[mark.state],
        state_time=_timestamp(mark.time),
        reason=mark.reason,
    )


def _timestamp(seconds: float) -> Timestamp:
    message = Timestamp()
    message.FromMicroseconds(round(seconds * _MICROSECOND))
    return message
