"""The conformance kit: judges anyone's terminal and anyone's central against the wire contract, promise by promise."""
