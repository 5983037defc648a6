"""Published images of ten classes, from their original files in a folder or from one .npz."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...support.printing import Brief
from ...support.validation import require
from .arrays import arrays
from .data_set import DataSet
from .files import first, missing, place_of
from .npz import npz


@dataclass(frozen=True, eq=False, repr=False)
class Images(Brief):
    """A published set of images.

    Attributes
    ----------
    name : str
    n_pixels : int
        Bytes of one image.
    files : mapping of str to tuple of str
        The original files, each with the names that copies of it have.
    folders : tuple of str
        Subfolders of the given folder in which the files may lie too.
    archive : str
        Name of an .npz file that holds everything; it may contain a *.
    wanted : str
        The files to put there, in words, for error messages.
    """

    name: str
    n_pixels: int
    files: Mapping[str, tuple[str, ...]]
    folders: tuple[str, ...]
    archive: str
    wanted: str

    def load(
        self,
        data: str | os.PathLike[str] | None,
        read: Callable[[dict[str, Path]], Mapping[str, np.ndarray]],
    ) -> DataSet:
        """The data set in a folder or an .npz.

        Parameters
        ----------
        data : path or None
            A folder or an .npz file; by default the value of the environment variable UNIJAM_DATA.
        read : function
            Takes the path of each original file, and returns the arrays x_train, y_train, x_test, y_test.

        Raises
        ------
        FileNotFoundError
            Where a file is missing; the message says which file to put where.
        ValueError
            Where a file is corrupt, or an archive holds images of another size.
        """
        place = place_of(data, self.wanted)
        if place.is_file():
            return self._from_archive(place)
        found = {file: first(place, self.folders, names) for file, names in self.files.items()}
        if not any(found.values()):
            archive = first(place, self.folders, (self.archive,))
            if archive is None:
                raise missing(data, self.wanted)
            return self._from_archive(archive)
        for file, path in found.items():
            if path is None:
                raise missing(data, file)
        parts = read({file: path for file, path in found.items() if path is not None})
        return arrays(**parts, n_classes=10, name=self.name)

    def _from_archive(self, file: Path) -> DataSet:
        data_set = npz(file, n_classes=10, name=self.name)
        n_pixels = data_set.inputs.shape[1]
        wanted = f"an archive of images of {self.n_pixels} bytes, not {n_pixels}"
        require(n_pixels == self.n_pixels, "file", str(file), wanted)
        return data_set
