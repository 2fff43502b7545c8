"""Card readers behind one contract: PC/SC, nfcpy and a socket, each imported only when it is configured."""
