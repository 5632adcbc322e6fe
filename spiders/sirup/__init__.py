"""SiRUP: the national register of procurement plans (rencana umum pengadaan, RUP)."""
