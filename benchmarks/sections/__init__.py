"""What `make bench` measures, one module each: `measure(options)` and `tables(numbers)`.

Numbers are dictionaries and lists that go into JSON; tables are made of them alone.
"""
