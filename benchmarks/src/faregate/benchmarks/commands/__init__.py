"""Commands of `faregate bench`, one module per group of benchmarks."""
