"""Features of claims, patients, doctors, departments and institutions, as Ibis expressions."""
