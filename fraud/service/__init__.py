"""The doctor's screen over HTTP: prescriptions checked as they are written, reactions kept."""
