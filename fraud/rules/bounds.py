"""Numbers that the batch and the screen share; nothing heavy is imported for them."""

DAY = 86_400
"""Seconds."""
YEAR = 365.25
"""Days."""
LEEWAY = 0.75
"""Days by which a count of days and an age in years may disagree."""
MILLI = 1000
CARRIED_DAYS = 90
"""Days in which earlier supply counts as still in hand."""
SUPPLY_DAYS = 180
"""Days in which an earlier fill may still overlap."""
ICD = r"^[A-Z][0-9][0-9A-Z]([.]?[0-9A-Z]{1,6})?([+*†]?)$"
"""Shape of an ICD-10 code of the national edition."""
TOLERANCE = 100
"""Cents by which a total may differ from the sum of its lines."""
LINE_TOLERANCE = 0.01
"""Share by which a line may differ from quantity times price."""
