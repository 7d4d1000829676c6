from dangol.v1 import offer_service_pb2
from service.decision.arrangement import AppliedRule
from service.decision.reasons import ReasonCode
from service.decision.terms import TraceRule


def test_the_codes_of_the_decision_are_those_of_the_contract() -> None:
    for prefix, codes, contract in (
        ("REASON_CODE_", ReasonCode, offer_service_pb2.ReasonCode),
        ("TRACE_RULE_", TraceRule, offer_service_pb2.TraceRule),
        ("APPLIED_RULE_", AppliedRule, offer_service_pb2.AppliedRule),
    ):
        ours = {f"{prefix}{code.name}": code.value for code in codes}
        assert ours == {name: number for name, number in contract.items() if number}
