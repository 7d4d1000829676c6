"""How the settings say to reach Redis: one place for the server and for the commands that write to it."""

from service.settings import Settings
from service.store.connection import RedisSettings
from service.store.event_log import EventLogSettings

_GIVE_UP_READ = 8  # read timeouts after which the connection of an unanswered read is closed


def event_log_settings(settings: Settings) -> EventLogSettings:
    """Say how long events and profiles are remembered."""
    return EventLogSettings(settings.event_id_days, settings.profile_days, settings.durability == "fsync")


def redis_settings(settings: Settings, url: str) -> RedisSettings:
    """Say how to connect to the Redis at ``url``."""
    return RedisSettings(
        url=url,
        username=settings.redis_username,
        password_file=settings.redis_password_file,
        ca_file=settings.redis_ca_file,
        certificate_file=settings.redis_certificate_file,
        key_file=settings.redis_key_file,
        connect_timeout=settings.redis_connect_timeout,
        command_timeout=settings.redis_command_timeout,
        read_timeout=_GIVE_UP_READ * settings.read_timeout,
        pool_size=settings.redis_pool_size,
    )
