# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a task of the accuracy suite provides."""


class Task:
    """A model, data to calibrate it, disjoint data to judge it, and the figures that count.

    `limits` is {method: {figure: bound}}: a bound of a drop or of a perplexity is the most allowed, any other the least.
    """

    name = ""
    classes = False      # the largest entry of a row of `outputs` is a decision: report how often it is the float model's
    transformer = False  # NNCF has a setting for these
    limits = {}

    def model(self):
        """The path of the float model."""
        raise NotImplementedError

    def calibration(self):
        """Feeds {input: array}, none of which `evaluate` sees."""
        raise NotImplementedError

    def evaluate(self, run):
        """(rows, figures): an array of outputs to compare with the float model's, and the task's own figures.

        `run` takes a feed and returns the list of outputs.
        """
        raise NotImplementedError

    def timing(self):
        """One feed to measure the time of a call with."""
        return self.calibration()[0]
