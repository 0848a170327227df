from lib import *
P=BIN+'/pools'
for what in sys.argv[1:] or ['delay','retire']:
    r=server()
    p=subprocess.run([P,what,f'redis://127.0.0.1:{r.port}'],capture_output=True,text=True,timeout=120)
    print(p.stdout, p.stderr[-800:])
    if what=='retire':
        q=Q(r,'keyed',3)
        print('slot 3: normal lane holds',r.xlen(q.lanes[3]),'dead',r.zcard(q.dead),'revived',r.hget(q.stats,'revived'),'lease',r.hmget(q.lease,'holder','term'))
