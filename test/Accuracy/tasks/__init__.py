# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The tasks of the accuracy suite, by name. One module per kind of model; a task is an object of base.Task."""
from . import efficientnet, minilm, mnist, recognition, smollm

TASKS = {task.name: task for module in (mnist, efficientnet, minilm, recognition, smollm) for task in module.TASKS}
