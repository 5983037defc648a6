"""The parts of `Network`: a module as a function of flat parameters, its constraints, kinks and symmetries."""
