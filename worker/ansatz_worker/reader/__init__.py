"""The reader: untrusted tables in, typed arrays, a data card, evidence out. No solution code runs here."""
