def run(given):
    raise NotImplementedError
