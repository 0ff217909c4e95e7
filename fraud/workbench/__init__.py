"""The auditors' workbench: web pages over published runs, decisions back as labels.

A Django application that reads run folders and writes the contract's ``audits``. It never imports a
model: what it shows was written when the score was.
"""
