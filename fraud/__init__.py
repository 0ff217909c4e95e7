"""Finds medical-insurance fraud suspicions (医保欺诈骗保疑点) in claims data."""

__version__ = "0.1.0"
