"""Made-up contracts to ask about, the same ones every time."""

import random
from pathlib import Path

KINDS = {
    "facilities": ("Cleaning Services Agreement", 9),
    "it": ("Hosting and Support Agreement", 11),
    "logistics": ("Carriage and Storage Agreement", 7),
}
"""Folders, with the kind and number of their contracts."""
_NAMES = (
    "Alder Beacon Cobalt Dunmore Everline Fairmont Gantry Halcyon Ironbridge Juniper Kestrel Larkfield Meridian "
    "Northgate Orchard Pinewater Quarry Redwood Silverlea Tamarind Underhill Vantage Westmark Yarrow"
)
_FIRMS = _NAMES.split()
_ENDS = (
    "Either party may terminate this Agreement by giving not less than {days} days' written notice to the other.",
    "The Customer may terminate this Agreement without notice if the Supplier's insurance lapses.",
    "The Customer may terminate for convenience upon {days} days' notice, against the fees of the running quarter.",
    "Either party may end this Agreement without prior notice if the other party becomes insolvent.",
    "This Agreement may not be terminated before the end of the Initial Term.",
    "The Customer may cease to call off services at any time without notice, whereupon this Agreement ends.",
)
_HEADS = (
    *("Definitions", "Services", "Service levels", "Charges", "Payment", "Personnel", "Confidentiality"),
    *("Data protection", "Liability", "Insurance", "Term and termination", "Disputes", "Governing law"),
)
_PROSE = (
    "the Supplier shall provide services with reasonable skill and care in accordance with good practice and any "
    "schedule agreed between the parties from time to time including service levels credits records audits access to "
    "premises equipment personnel invoices interest escalation change control subcontracting and assignment"
)
_WORDS = _PROSE.split()


def write_contracts(folder: Path) -> None:
    """Write the contracts into folders below `folder`."""
    chance = random.Random(7)
    for name, (kind, many) in KINDS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(1, many + 1):
            firm = chance.choice(_FIRMS)
            text = _contract(chance, firm, kind, f"{name[:2].upper()}-{number:03}")
            (folder / name / f"{number:03}-{firm.lower()}.txt").write_text(text)


def _contract(chance: random.Random, firm: str, kind: str, name: str) -> str:
    lines = [f"{firm.upper()} LIMITED", kind.upper(), f"Contract no. {name}", ""]
    for section, head in enumerate(_HEADS, 1):
        lines.append(f"{section}. {head}")
        for clause in range(1, chance.randint(4, 8)):
            text = " ".join(_sentence(chance) for _ in range(chance.randint(1, 3)))
            if (head, clause) == ("Term and termination", 2):
                text = chance.choice(_ENDS).format(days=chance.choice((14, 30, 60, 90)))
            lines.append(f"{section}.{clause}  {text}")
        lines.append("")
    return "\n".join(lines)


def _sentence(chance: random.Random) -> str:
    return " ".join(chance.choices(_WORDS, k=chance.randint(12, 30))).capitalize() + "."
