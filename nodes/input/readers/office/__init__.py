"""The parts that the readers of Office and OpenDocument files share: packages, notation, drawings, charts."""
