"""What can be measured of the machine: disk, sync time, clock. Values in, sentences out."""
