"""How a comparison is timed, judged and reported; knows nothing of what is compared."""
