def before():
    return 1

class Half(
    def method(self):
        return [1, 2

def after(x):
    return x
