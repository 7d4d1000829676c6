"""The services of the contract, as their descriptors name them. Imports no handler: supervisors do without."""

from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2

from dangol.v1 import (
    audience_service_pb2,
    catalog_service_pb2,
    customer_service_pb2,
    event_service_pb2,
    model_service_pb2,
    offer_service_pb2,
    push_service_pb2,
)

OFFER_SERVICE: ServiceDescriptor = offer_service_pb2.DESCRIPTOR.services_by_name["OfferService"]
EVENT_SERVICE: ServiceDescriptor = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
CATALOG_SERVICE: ServiceDescriptor = catalog_service_pb2.DESCRIPTOR.services_by_name["CatalogService"]
CUSTOMER_SERVICE: ServiceDescriptor = customer_service_pb2.DESCRIPTOR.services_by_name["CustomerService"]
AUDIENCE_SERVICE: ServiceDescriptor = audience_service_pb2.DESCRIPTOR.services_by_name["AudienceService"]
PUSH_SERVICE: ServiceDescriptor = push_service_pb2.DESCRIPTOR.services_by_name["PushService"]
MODEL_SERVICE: ServiceDescriptor = model_service_pb2.DESCRIPTOR.services_by_name["ModelService"]
HEALTH_SERVICE: ServiceDescriptor = health_pb2.DESCRIPTOR.services_by_name["Health"]

SERVICES = (
    OFFER_SERVICE,
    EVENT_SERVICE,
    CATALOG_SERVICE,
    CUSTOMER_SERVICE,
    AUDIENCE_SERVICE,
    PUSH_SERVICE,
    MODEL_SERVICE,
)
"""The services of our own."""

SERVICE_NAMES = tuple(service.full_name for service in SERVICES)
"""The names by which their health can be asked."""

EARLY_SERVICES = tuple(service.full_name for service in (EVENT_SERVICE, CATALOG_SERVICE, MODEL_SERVICE))
"""Those among them that answer before a model is loaded."""
