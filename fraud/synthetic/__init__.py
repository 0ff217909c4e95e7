"""The synthetic city: claims of people who do not exist, with fraud that is known."""

from fraud.synthetic.generate import (
    EXTRA_SCHEME_NAMES,
    LOOK_ALIKE_NAMES,
    NUISANCE_NAMES,
    SCHEME_NAMES,
    generate,
)

__all__ = ["EXTRA_SCHEME_NAMES", "LOOK_ALIKE_NAMES", "NUISANCE_NAMES", "SCHEME_NAMES", "generate"]
