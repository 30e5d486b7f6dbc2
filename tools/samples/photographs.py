"""Write the sample photographs, from those that scikit-image's wheel carries."""

import io
from pathlib import Path

import skimage.data
from PIL import Image, ImageCms

# Those in the public domain by CC0 or dedication; images/README.md says by whom.
PHOTOGRAPHS = {"cat": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
FOLDER = Path(__file__).resolve().parents[2] / "images" / "content"


def main():
    """Write each as a JPEG in sRGB, with nothing but its pixels."""
    source = Path(skimage.data.__file__).parent
    srgb = ImageCms.createProfile("sRGB")
    for name, file in PHOTOGRAPHS.items():
        with Image.open(source / file) as image:
            picture = image.convert("RGB")
            if "icc_profile" in image.info:  # the rocket is in Adobe RGB
                profile = io.BytesIO(image.info["icc_profile"])
                picture = ImageCms.profileToProfile(picture, profile, srgb)
            pixels = Image.frombytes("RGB", picture.size, picture.tobytes())
            pixels.save(FOLDER / f"{name}.jpg", quality=92, subsampling="4:4:4", optimize=True)


if __name__ == "__main__":
    main()
