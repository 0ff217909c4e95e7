"""Split charges: parts of a package charged beside the package."""

import numpy as np

from fraud.synthetic.calendar import Month
from fraud.synthetic.orders import PANEL, Orders
from fraud.synthetic.schemes.base import Group, Scheme
from fraud.synthetic.visits import VISIT_TYPE, Visits

# The package and what it already contains.
PACKAGES = (
    PANEL,
    ("hdf", ("hd", "dialyzer")),
    ("hemi", ("pt", "balance")),
    ("eacup", ("acup", "acuneedle")),
    ("infus", ("iv_push", "syringe")),
    ("dressing", ("gauze", "debride")),
    ("tuina", ("traction", "infrared")),
)


class SplitCharge(Scheme):
    """A department takes packages apart and charges both."""

    name, zh = "split_charge", "分解收费"
    share, per_group, hidden = 1.0, 45, 0.5

    def plan(self, group: Group, rng: np.random.Generator) -> None:
        """Choose an institution and the packages it takes apart."""
        self.institution(
            group, ("tertiary", "secondary", "private_hospital", "rehab", "community", "tcm_hospital"), rng
        )
        group.facts["packages"] = rng.choice(len(PACKAGES), round(self.lerp(2, 5)), replace=False)

    def emit(self, group: Group, count: int, month: Month, honest: Visits, rng: np.random.Generator) -> None:
        """Take some honest claims of the institution, longer stays first."""
        mask = (honest.institution == group.facts["place"]) & (honest.visit_type != VISIT_TYPE["pharmacy"])
        self.mark(honest, self.pick_rows(honest, mask, count, rng), group)

    def alter(self, v: Visits, o: Orders, rng: np.random.Generator) -> Orders:
        """Charge a package (if the claim has none) and its parts on the same day."""
        rows = self.mine(v)
        packages = {g.number: g.facts["packages"] for g in self.groups}
        c = self.city.catalogue
        parts = [o]
        for row in rows:
            for _ in range(1 + int(rng.poisson(self.lerp(1.2, 0.2)))):
                package, inside = PACKAGES[int(rng.choice(packages[int(v.group[row])]))]
                items = [c.item[package], *c.items_of(*inside)[: round(self.lerp(9, 2))]]
                same = np.full(len(items), row)
                extra = self.extra(v, same, np.array(items), 1, rng)
                extra.second[:] = extra.second[0] + rng.integers(0, 1_800, len(items))
                extra.bad[0] = False
                parts.append(extra)
        return Orders.concat(parts)
