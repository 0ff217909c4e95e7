"""The synthetic city: claims of people who do not exist, with fraud that is known."""

from fraud.synthetic.generate import NUISANCE_NAMES, SCHEME_NAMES, generate

__all__ = ["NUISANCE_NAMES", "SCHEME_NAMES", "generate"]
