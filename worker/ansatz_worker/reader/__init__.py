"""The reader: untrusted tables in, typed arrays, a data card and evidence out. It never runs solution code."""
