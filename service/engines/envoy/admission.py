"""Refusals before Python hears of a call, which has to do with those that it works on."""

from service.engines.envoy.settings import TYPES, Configuration, EnvoySettings

ADMISSION = "envoy.filters.http.adaptive_concurrency"
REFUSED = 429
_LOWEST_LIMIT = 32  # as in service/handlers/admission.py


def admission_filters(envoy: EnvoySettings) -> list[Configuration]:
    """Hold the calls of the limited methods below a limit that follows how long they take.

    The gradient controller of https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/adaptive_concurrency_filter
    with a wanted duration in place of a measured one, for whose sake calls would be refused now and then.
    """
    if not envoy.limited_paths:
        return []
    controller = {
        "sample_aggregate_percentile": {"value": 50},
        "concurrency_limit_params": {
            "max_concurrency_limit": envoy.maximal_calls,
            "concurrency_update_interval": "0.1s",
        },
        "min_rtt_calc_params": {
            "fixed_value": f"{envoy.wanted_seconds:.3f}s",
            "min_concurrency": min(_LOWEST_LIMIT, envoy.maximal_calls),
        },
    }
    return [
        {
            "name": ADMISSION,
            "typed_config": {
                "@type": f"{TYPES}.extensions.filters.http.adaptive_concurrency.v3.AdaptiveConcurrency",
                "gradient_controller_config": controller,
                "concurrency_limit_exceeded_status": {"code": REFUSED},
            },
        }
    ]
