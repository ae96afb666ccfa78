"""The Python side of Ansatz: it reads the user's tables and runs one locked child per trial.

Nothing is imported or computed here; each process imports only the modules that it needs.
"""
