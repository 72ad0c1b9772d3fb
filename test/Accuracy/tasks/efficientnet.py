# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""EfficientNet-Lite0 on photographs: calibrated on scikit-image's, judged on 20 labelled ones and on darknet's."""
import glob
import os

import data
import metrics
import numpy as np

from .base import Task

SIZE = 224
CALIBRATION = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "motorcycle_right.png", "retina.jpg",
               "hubble_deep_field.jpg")
CROPS_CALIBRATION, CROPS = 160, 500


def normalised(image):
    """A PIL image as the network's input."""
    array = np.asarray(image.convert("RGB"), np.float32)
    return {"input": np.ascontiguousarray((array - 127).transpose(2, 0, 1)[None] / 128)}


def crops(paths, count, seed):
    """`count` random squares, evenly from the photographs, 0.3 to 1 of the shorter side, half of them mirrored."""
    from PIL import Image

    rng, images = np.random.default_rng(seed), [Image.open(path).convert("RGB") for path in paths]
    for i in range(count):
        image = images[i % len(images)]
        side = int(min(image.size) * rng.uniform(0.3, 1))
        left, top = (int(rng.integers(0, extent - side + 1)) for extent in image.size)
        crop = image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.BILINEAR)
        yield normalised(crop.transpose(Image.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else crop)


class EfficientNet(Task):
    name = "efficientnet-lite0"
    classes = True
    limits = {"int8": {"labelled_cosine_min": 0.98, "agreement": 0.95}}

    def model(self):
        return data.model(self.name)

    def calibration(self):
        folder = data.folder("photographs")
        return list(crops([os.path.join(folder, name) for name in CALIBRATION], CROPS_CALIBRATION, 1))

    def evaluate(self, run):
        from PIL import Image

        rows, right = [], 0
        paths = sorted(glob.glob(os.path.join(data.folder("imagenet20"), "imagenet_*.jpg")))
        for path in paths:
            feed = normalised(Image.open(path).resize((SIZE, SIZE), Image.BILINEAR))
            rows.append(run(feed)[0][0])
            right += int(rows[-1].argmax()) == int(os.path.basename(path).split("_")[2].split(".")[0])
        for feed in crops(sorted(glob.glob(os.path.join(data.darknet(), "*.jpg"))), CROPS, 2):
            rows.append(run(feed)[0][0])
        return np.stack(rows), {"labelled_right": right, "labelled": len(paths)}

    def compare(self, reference, rows):
        """Cosines of the labelled images, agreement and SNR on the crops."""
        labelled = metrics.cosines(reference[:20], rows[:20])
        return {**metrics.closeness(reference[20:], rows[20:], classes=True), "labelled_cosine_min": float(labelled.min()),
                "labelled_cosine_mean": float(labelled.mean())}


TASKS = [EfficientNet()]
