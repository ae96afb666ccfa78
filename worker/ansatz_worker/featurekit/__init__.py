"""Feature engineering shared by the built-in solutions: general rules about data, none about a data set.

Every module keeps two promises. What is learnt is learnt from training rows alone and lives in a picklable
state; and applying a state to rows is row by row, so a row's features never depend on the rows beside it.
"""
