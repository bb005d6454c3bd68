"""The command line: `faregate …`."""
