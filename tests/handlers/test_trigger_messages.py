from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given, settings

from dangol.v1 import catalog_pb2
from models.errors import InvalidInputError
from models.triggers import Trigger, TriggerKind
from service.handlers.trigger_messages import trigger_message, triggers_from
from tests.store import samples


def message(**fields: Any) -> catalog_pb2.Trigger:  # noqa: ANN401 - whatever the message takes
    given: dict[str, Any] = {"trigger": "cart-reminder", "kind": 3}
    return catalog_pb2.Trigger(**(given | fields))


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (message(trigger="Cart"), "trigger"),
        (message(kind=0), "kind"),
        (message(kind=99), "kind"),
        (message(status=9), "status"),
        (message(placement="P"), "placement"),
        (message(channel="C"), "channel"),
        (message(consent_category="C"), "consent_category"),
        (message(priority=1_001), "priority"),
        (message(default_hour=25), "default_hour"),
        (message(delay=Duration(seconds=-1)), "delay"),
        (message(cooldown=Duration(seconds=91 * 86_400)), "cooldown"),
        (message(lookback=Duration(seconds=60)), "lookback"),
        (message(lifetime=Duration(seconds=3_600, nanos=1)), "lifetime"),
    ],
)
def test_a_bad_trigger_is_refused_and_its_field_named(bad: catalog_pb2.Trigger, field: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        triggers_from([bad])
    assert refused.value.field == f"triggers[0].{field}"


def test_what_a_trigger_leaves_open_is_stored_as_said() -> None:
    (read,) = triggers_from([message()])
    assert read == Trigger("cart-reminder", TriggerKind.ABANDONED_CART)
    assert (read.placement, read.channel, read.consent_category) == ("push", "push", "marketing")
    assert (read.delay, read.default_hour) == (3_600, 18)


def test_hour_24_is_midnight() -> None:
    (read,) = triggers_from([message(default_hour=24)])
    assert read.default_hour == 0


@settings(max_examples=50, deadline=None)
@given(samples.triggers)
def test_a_trigger_that_can_be_read_is_written_as_it_was(drawn: Trigger) -> None:
    written = trigger_message(drawn)
    try:
        (read,) = triggers_from([written])
    except InvalidInputError:
        return
    assert read == drawn
