"""Detectors: how unlike its peers a subject is, and how like what auditors confirmed.

Higher is always more suspicious. Every tree model, whichever library grew it, is kept and run as
LightGBM text: no pickle, one runtime, exact Shapley values from one place.
"""
