"""Back-test: what a model would have listed month by month, against what was decided later."""
