"""Reading the input: seconds and memory over folders of each kind, and words found beside other extractors."""
