"""Examples of operations, a module for each of Harbor's tags; tests.contract.world says how one looks."""
