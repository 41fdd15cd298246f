"""The account that a run's own account reserves with as well, when the run is one of a batch."""

from typing import NamedTuple, Protocol

from .reservations import CostEstimate, Reservation


class LeftForAll(NamedTuple):
    """Amounts that are neither spent nor reserved by any of the runs; None: no limit."""

    calls: int
    tokens: int | None
    cost: float | None
    seconds: float | None


class SharedAccount(Protocol):
    """An account of several runs, with limits of its own (`BatchLedger`). `member` is the account of one of them."""

    @property
    def seconds_left(self) -> float | None:
        """Seconds until everything ends; None without a limit."""
        ...

    @property
    def left_for_all(self) -> LeftForAll:
        """The amounts that the limits still allow all runs together."""
        ...

    def keep_for(self, member: object, needed: Reservation) -> None:
        """Keep back what a last turn of this run may take."""
        ...

    def leave(self, member: object) -> None:
        """Keep nothing back any more for this run, which is no longer executed."""
        ...

    def granted_to(self, member: object, wanted: CostEstimate, *, last_turn: bool) -> Reservation | None:
        """Return what this run can reserve now; None when others have to settle first. Raises BudgetSpent."""
        ...

    def hold(self, granted: Reservation) -> None:
        """Count a reservation."""
        ...

    async def change(self) -> None:
        """Wait until a reservation has ended."""
        ...

    def settle(self, reserved: Reservation, used: Reservation | None, *, streamed: int = 0) -> None:
        """Replace a reservation by what was used; None: unknown, the request becomes uncertain."""
        ...

    def give_back(self, reserved: Reservation) -> None:
        """Release the reservation of a request that was not sent."""
        ...
