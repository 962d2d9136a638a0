"""A figure against its floor, and whether that is good enough."""

import dataclasses

from kxbench.lab import median

# PERFORMANCE targets: id -> (must, goal). In the last three less is better.
TARGETS = {
    "R1": (0.50, 0.70),
    "R2": (0.90, 1.0),
    "R3": (25, 40),
    "R4": (4, 8),
    "R5": (0.90, 1.0),
    "R6": (0.95, 1.0),
    "R7": (0.80, 0.95),
    "R8": (0.60, 0.90),
    "R9": (1.5, 1.1),
    "R10": (4, 2),
    "R11a": (48, 32),
    "R11b": (160, 128),
}
LESS_IS_BETTER = {"R9", "R10", "R11a", "R11b"}


@dataclasses.dataclass
class Result:
    id: str
    what: str
    unit: str
    ours: list = dataclasses.field(default_factory=list)  # of each run
    floor: list = dataclasses.field(default_factory=list)  # of the same runs; empty = an absolute target
    floor_is: str = ""
    notes: list = dataclasses.field(default_factory=list)
    more: dict = dataclasses.field(default_factory=dict)  # CPU, accounts, percentiles: for the JSON
    judged: bool = True  # False: told beside the target, not instead of it
    void: str = ""  # why this run says nothing
    missing: str = ""  # why there is none
    load: float = 0.0  # of the machine just before

    def ratios(self):
        """Run by run, so that what disturbs the machine disturbs both."""
        if not self.floor:
            return list(self.ours)
        return [o / f for o, f in zip(self.ours, self.floor)]

    def ratio(self):
        return median(self.ratios()) if self.ours else None

    def verdict(self):
        if self.missing:
            return "not measured"
        if self.void:
            return "void"
        if not self.judged or self.id not in TARGETS:
            return "-"
        must, goal = TARGETS[self.id]
        value = self.ratio()
        if self.id in LESS_IS_BETTER:
            return "goal" if value <= goal else "must" if value <= must else "MISSED"
        return "goal" if value >= goal else "must" if value >= must else "MISSED"

    def row(self):
        must, goal = TARGETS.get(self.id, ("", ""))
        ratios = self.ratios()
        return {
            **dataclasses.asdict(self),
            "ours_median": median(self.ours) if self.ours else None,
            "floor_median": median(self.floor) if self.floor else None,
            "ratio": self.ratio(),
            "spread": [min(ratios), max(ratios)] if ratios else None,
            "must": must,
            "goal": goal,
            "verdict": self.verdict(),
        }
