"""Built-in solutions: each module keeps the solution contract. Nothing is imported before it is asked for."""
