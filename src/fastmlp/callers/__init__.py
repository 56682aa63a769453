"""What native callers get of a bound predictor: a module for each kind of caller, imported when it is asked for."""
