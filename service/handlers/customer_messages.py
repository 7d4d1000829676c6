"""Customer messages ↔ domain, each field checked on its way in."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dangol.v1 import customer_pb2
from models.customers import NEVER, AttributeValue, Consent, ConsentStatus, CustomerRecord
from models.errors import InvalidInputError
from service.handlers.catalog_messages import time_from
from service.handlers.queries import zone_of
from service.handlers.validation import (
    check,
    check_distinct,
    count_problem,
    id_problem,
    kebab_problem,
    language_problem,
    optional_kebab_problem,
    range_problem,
    text_problem,
)

MAXIMAL_CUSTOMERS = 1000
_MAXIMAL_ATTRIBUTES = 64
_MAXIMAL_CONSENTS = 128
_MAXIMAL_TEXTS = 64
_MAXIMAL_TEXT_BYTES = 256
_MAXIMAL_CHANNEL_BYTES = 32
_MAXIMAL_NUMBER = 1e300
_MAXIMAL_LEAD = timedelta(hours=24)

_STATUSES = {
    customer_pb2.CONSENT_STATUS_GRANTED: ConsentStatus.GRANTED,
    customer_pb2.CONSENT_STATUS_WITHDRAWN: ConsentStatus.WITHDRAWN,
}
_STATUS_MESSAGES = {status: number for number, status in _STATUSES.items()}


def customers_from(messages: Sequence[customer_pb2.Customer], now: datetime) -> list[CustomerRecord]:
    """Read a batch of customers stored at ``now`` (UTC). InvalidInputError names the field."""
    check("customers", count_problem(len(messages), 1, MAXIMAL_CUSTOMERS))
    records = [_record_from(message, f"customers[{index}]", now) for index, message in enumerate(messages)]
    check_distinct("customers", [record.customer_id for record in records], ".customer_id")
    return records


def customer_message(record: CustomerRecord) -> customer_pb2.Customer:
    """Write a customer."""
    message = customer_pb2.Customer(
        customer_id=record.customer_id,
        time_zone=record.time_zone,
        language=record.language,
        attributes=[_attribute_message(name, value) for name, value in record.attributes.items()],
        consents=map(_consent_message, record.consents),
    )
    if record.update_time > NEVER:
        message.update_time.FromDatetime(record.update_time)
    return message


def _record_from(message: customer_pb2.Customer, field: str, now: datetime) -> CustomerRecord:
    check(f"{field}.customer_id", id_problem(message.customer_id))
    if message.time_zone:
        zone_of(message.time_zone, f"{field}.time_zone")
    check(f"{field}.language", language_problem(message.language))
    check(f"{field}.attributes", count_problem(len(message.attributes), 0, _MAXIMAL_ATTRIBUTES))
    attributes = {
        attribute.name: _value_from(attribute, f"{field}.attributes[{index}]")
        for index, attribute in enumerate(message.attributes)
    }
    check_distinct(f"{field}.attributes", [attribute.name for attribute in message.attributes], ".name")
    return CustomerRecord(
        message.customer_id, message.time_zone, message.language, attributes, _consents_from(message, field, now), now
    )


def _value_from(message: customer_pb2.CustomerAttribute, field: str) -> AttributeValue:
    check(f"{field}.name", kebab_problem(message.name))
    match message.WhichOneof("value"):
        case "text":
            check(f"{field}.text", text_problem(message.text, _MAXIMAL_TEXT_BYTES))
            return message.text
        case "number":
            check(f"{field}.number", range_problem(message.number, -_MAXIMAL_NUMBER, _MAXIMAL_NUMBER))
            return message.number
        case "truth":
            return message.truth
        case "texts":
            return _texts_from(message.texts, f"{field}.texts.values")
        case _:
            raise InvalidInputError(field, "holds no value")


def _texts_from(message: customer_pb2.TextList, field: str) -> tuple[str, ...]:
    check(field, count_problem(len(message.values), 0, _MAXIMAL_TEXTS))
    for index, text in enumerate(message.values):
        check(f"{field}[{index}]", id_problem(text, _MAXIMAL_TEXT_BYTES))
    check_distinct(field, message.values)
    return tuple(message.values)


def _consents_from(message: customer_pb2.Customer, field: str, now: datetime) -> tuple[Consent, ...]:
    check(f"{field}.consents", count_problem(len(message.consents), 0, _MAXIMAL_CONSENTS))
    consents = tuple(
        _consent_from(consent, f"{field}.consents[{index}]", now) for index, consent in enumerate(message.consents)
    )
    check_distinct(f"{field}.consents", [f"{consent.category} {consent.channel}" for consent in consents])
    return consents


def _consent_from(message: customer_pb2.Consent, field: str, now: datetime) -> Consent:
    check(f"{field}.category", kebab_problem(message.category))
    check(f"{field}.channel", optional_kebab_problem(message.channel, _MAXIMAL_CHANNEL_BYTES))
    status = _STATUSES.get(message.status)
    if status is None:
        raise InvalidInputError(f"{field}.status", "says neither granted nor withdrawn")
    time = now
    if message.HasField("statement_time"):
        time = time_from(message.statement_time, f"{field}.statement_time")
        if not NEVER < time <= now + _MAXIMAL_LEAD:
            raise InvalidInputError(f"{field}.statement_time", "is before 1970 or more than 24 hours in the future")
    return Consent(message.category, message.channel, status, time.astimezone(UTC))


def _attribute_message(name: str, value: AttributeValue) -> customer_pb2.CustomerAttribute:
    match value:
        case bool():
            return customer_pb2.CustomerAttribute(name=name, truth=value)
        case str():
            return customer_pb2.CustomerAttribute(name=name, text=value)
        case tuple():
            return customer_pb2.CustomerAttribute(name=name, texts=customer_pb2.TextList(values=value))
        case _:
            return customer_pb2.CustomerAttribute(name=name, number=value)


def _consent_message(consent: Consent) -> customer_pb2.Consent:
    message = customer_pb2.Consent(
        category=consent.category, channel=consent.channel, status=_STATUS_MESSAGES[consent.status]
    )
    message.statement_time.FromDatetime(consent.statement_time)
    return message
