"""Tables: how files with columns are read, and what their columns become. `import fastmlp` imports none of it."""
