"""Erasing a customer, under whichever of their ids it is asked for."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime

from models.erasures import Erasure, erased_id
from service.handlers.caller import Caller, Context
from service.handlers.snapshots import Snapshots
from service.store.budget_store import BudgetStore
from service.store.erasure_store import ErasureStore
from service.store.link_store import LinkStore

_STEPS = 4


class Erasing:
    """Erases what lies under keys of the customer's own at once, and lets others know who look for the rest."""

    def __init__(
        self,
        store: ErasureStore,
        links: LinkStore,
        budgets: BudgetStore,
        snapshots: Snapshots,
        write_timeout: float,
        on_erase: Callable[[Erasure], Awaitable[None]],
    ) -> None:
        """``write_timeout`` in seconds bounds each step. ``on_erase`` is told when nothing is left to answer with."""
        self._store = store
        self._links = links
        self._budgets = budgets
        self._snapshots = snapshots
        self._write_timeout = write_timeout
        self._on_erase = on_erase

    async def erase(self, caller: Caller, customer_id: str, now: datetime, context: Context) -> Erasure:
        """Erase all ids of a customer. UnavailableError when that is not finished; the same again is safe.

        Links go after the tombstones: who goes on after a failure finds the same ids by them.
        """
        tenant = caller.tenant
        names = await self._links.joined(tenant, customer_id, self._budget(context))
        erasure = Erasure(secrets.token_hex(8), now, tuple(map(erased_id, names)))
        await self._store.begin(tenant, erasure, names, self._budget(context))
        await self._store.remove_lists(tenant, names, self._budget(context))
        await self._budgets.release(tenant, self._snapshots.budgets(tenant), names, self._budget(context))
        if len(names) > 1:
            for name in names:
                await self._links.unlink(tenant, name, (), self._budget(context))
        await self._on_erase(erasure)
        return erasure

    async def check(self, caller: Caller, customer_ids: Sequence[str], context: Context) -> None:
        """PreconditionError when one of these ids was erased."""
        await self._store.check(caller.tenant, customer_ids, self._budget(context))

    def _budget(self, context: Context) -> float:
        return context.budget(self._write_timeout, 1 / _STEPS)
