"""placeholder replaced below"""
def main_job(*a): pass
