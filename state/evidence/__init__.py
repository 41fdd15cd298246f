"""What a run's texts were made from: the parts of its stored input that prompts, outputs and answers hold."""
