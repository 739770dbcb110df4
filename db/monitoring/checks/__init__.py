"""The doctor's checks: functions that yield a finding for each problem."""
