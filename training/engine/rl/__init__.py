"""Policy optimization. finetune is the run; onpolicy and direct implement the algorithms."""
